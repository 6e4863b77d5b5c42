"""What every room stands on: errors, values, configuration, logging, safe files, and each
mechanism that two rooms need. Imports nothing of Symphony from outside itself."""
