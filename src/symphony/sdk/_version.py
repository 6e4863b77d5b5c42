"""The version of what extensions are written against; a manifest names the ones that it knows."""

VERSION = "0.1.0"
