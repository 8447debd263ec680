"""The release of the template that this project comes from: `cruft update` brings a newer one."""

VERSION = "1.0.0.dev0"
