"""Save the Slack notification block of the settings and send a test message.

The webhook's URL is read from the variable SLACK_WEBHOOK_URL or asked for without showing it; it is never printed.
"""

import getpass
import os
import sys

from pydantic import SecretStr

from ..errors import ConfigurationError
from ..project import Project
from ._messages import NotSent, deliver, trial_message


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
    """Save the block under the name of the settings, over an older one, and send the test message.

    Raises:
        ConfigurationError: the URL is missing or not a webhook's, or the block of the settings is not a Slack webhook.
    """
    from prefect.blocks.notifications import SlackWebhook

    settings = project.settings
    kind, _, name = (settings.notifications.block or "").partition("/")
    if kind != "slack-webhook" or not name:
        raise ConfigurationError(
            f"notifications.block is {kind + '/' + name!r}: this command sets up `slack-webhook/<name>` only;"
            " create any other block in the Prefect UI under Blocks."
        )
    block = SlackWebhook(url=webhook_url())
    if not block._apprise_client:  # it has no service to send to
        raise ConfigurationError(
            "What was given is not a webhook's URL, so nothing was saved: copy all of the URL that Slack shows under"
            " Incoming Webhooks of your app, https://hooks.slack.com/services/T…/B…/…"
        )
    block.save(name, overwrite=True)
    print(f"Saved the block slack-webhook/{name}.")
    try:
        deliver(trial_message(project=settings.project), block=f"slack-webhook/{name}")
    except NotSent as error:
        raise ConfigurationError(f"The block is saved, but the test message was not taken: {error}") from None
    print("Sent a test message.")
