"""The local AWS that ``orderctl --sandbox`` talks to: moto 5.2.5 under a layer of our own.

moto answers the AWS API from memory, at once, and drops or mistakes fields that a reconciler has to read back. The
modules in ``patches`` restore what AWS answers; those in ``behaviour`` add what no emulator of answers has: time, refusals,
tasks and deployments. Both change moto's classes at start-up. moto itself is never edited, so every patch can be deleted
once a newer moto has caught up.
"""

#: The name that the health path answers with; the Rust side looks for it before it trusts (or stops) a process.
NAME = "orderctl-sandbox"

#: The moto release that the patches were written against.
MOTO_VERSION = "5.2.5"

#: The account that moto answers for.
ACCOUNT_ID = "123456789012"
