"""The names of a home: where they come from, and how a text is put right by them."""
