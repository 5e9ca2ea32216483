"""The version, read by the package and by its build."""

version = "0.1.0"
