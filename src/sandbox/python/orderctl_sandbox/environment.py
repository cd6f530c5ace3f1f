"""Settings that moto 5.2.5 reads from the environment, and dummy credentials for its own calls."""

import os

_ALWAYS = {
    # Without it, attaching an AWS-managed policy answers NoSuchEntity.
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    "MOTO_ACCOUNT_ID": "123456789012",
    "MOTO_ENABLE_ISO_REGIONS": "false",
    # Nothing in this process may ever sign a request with the user's own credentials.
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

_NEVER = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_DATA_PATH")


def prepare_environment() -> None:
    """Sets this process's environment. Must run before anything imports moto."""
    os.environ.update(_ALWAYS)
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    for name in _NEVER:
        os.environ.pop(name, None)
