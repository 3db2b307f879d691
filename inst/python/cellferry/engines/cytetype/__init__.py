"""The CyteType engine."""
