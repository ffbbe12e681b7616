"""Errors by what happens next; only the command line turns them into text and an exit status.

CloudError                1
├── UsageError           64   the command line was wrong
├── ConfigurationError   78   a person must edit a file; restarting does not help
├── ServiceUnavailable   69   something that we need is away; trying again may help
└── CloudBug             70   call us
"""

from __future__ import annotations


class CloudError(Exception):
    """Base. `hint` is the next thing a person should do; `exit_code` is for systemd and scripts."""

    exit_code = 1
    hint = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        if hint:
            self.hint = hint


class UsageError(CloudError):
    """The command line was wrong."""

    exit_code = 64


class ConfigurationError(CloudError):
    """Configuration, keys or files that only a person can put right."""

    exit_code = 78


class ServiceUnavailable(CloudError):
    """A port, broker, store or device that we need is away; trying again may help."""

    exit_code = 69


class CloudBug(CloudError):
    """What must not happen did."""

    exit_code = 70
    hint = "Please send us the log of the last minutes: journalctl -u cloud-sync"
