"""Values that were fitted on data, with their provenance, and the code that reads them."""
