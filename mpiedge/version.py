"""The version, apart from the package's front so that every layer can say it."""

VERSION = "0.1.0"
