"""Lets pytest find the package `harness`: pytest adds the folder of each conftest.py to its path."""
