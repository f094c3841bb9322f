"""Puts regress/ where pytest finds the package `harness`: pytest does so with the folder of each conftest.py."""
