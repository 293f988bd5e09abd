"""Verifies a signed message with the library of Standard Webhooks.

verify.py SECRET ID TIMESTAMP SIGNATURE < BODY prints the message's id.
"""

import sys

from standardwebhooks import Webhook

secret, message_id, timestamp, signature = sys.argv[1:]
headers = {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
print(Webhook(secret).verify(sys.stdin.buffer.read().decode(), headers)["id"])
