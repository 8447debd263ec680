"""The errors a person can fix, each with a message that says what, where and what to do."""


class ProjectError(Exception):
    """A failure whose message is meant for the person running the project.

    The console command prints the message without a traceback and ends with `exit_code`.
    """

    exit_code = 1


class ConfigurationError(ProjectError):
    """A setting is missing, misspelt or impossible; nothing was read or trained."""

    exit_code = 2


class DataError(ProjectError):
    """The table cannot be used: the message names the file and the column."""


class RegistryError(ProjectError):
    """The registry cannot be read or written as it stands; production is left as it is."""
