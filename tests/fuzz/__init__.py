"""What must hold whatever comes over the wire, tried on inputs that coverage guides."""
