"""Send a test message to Slack, and save the notification block of the settings.

The URL of the webhook is read from SLACK_WEBHOOK_URL or typed in without being shown; it is never printed.
"""

import getpass
import os
import sys

from pydantic import SecretStr

from ..errors import ConfigurationError
from ..project import Project
from ._messages import NotSent, message, notify


def webhook_url() -> SecretStr:
    """Return the webhook's URL from the environment or from a prompt that does not echo.

    Raises:
        ConfigurationError: there is neither a URL nor a terminal to ask at.
    """
    url = os.environ.get("SLACK_WEBHOOK_URL", "").strip()
    if not url and sys.stdin.isatty():
        url = getpass.getpass("Slack webhook URL (not shown): ").strip()
    if "://" not in url:
        raise ConfigurationError(
            "No webhook URL: set SLACK_WEBHOOK_URL to the URL that Slack shows under Incoming Webhooks of your app."
        )
    return SecretStr(url)


def set_up_slack(project: Project) -> None:
    """Send the test message, and save the notification block that the settings name; an older one is replaced.

    Raises:
        ConfigurationError: the URL is missing or refuses messages, or the settings name no Slack webhook.
    """
    from prefect.blocks.notifications import SlackWebhook

    settings = project.settings
    kind, _, name = (settings.notifications.block or "").partition("/")
    if kind != "slack-webhook" or not name:
        raise ConfigurationError(
            f"notifications.block is {kind + '/' + name!r}: this command only sets up `slack-webhook/<name>`;"
            " create other blocks in the Prefect UI under Blocks."
        )
    block = SlackWebhook(url=webhook_url())
    try:
        notify(block, message("trial", project=settings.project), name=f"slack-webhook/{name}")
    except NotSent as error:
        raise ConfigurationError(
            f"The test message was not sent, so nothing was saved: {error} Copy the whole URL that Slack shows under"
            " Incoming Webhooks of your app, https://hooks.slack.com/services/T…/B…/…"
        ) from None
    block.save(name, overwrite=True)
    print(f"Sent a test message, and saved the block slack-webhook/{name}.")
