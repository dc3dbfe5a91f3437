"""Experiments that print the tables from which the calibration values were chosen."""
