"""The program of an extension's process."""

from symphony.sdk._runtime import main

main()
