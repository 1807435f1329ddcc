"""Has the published Python client (keyfactor-command-sdk) get its own tokens and use them.

usage: python_tokens.py URL ROOT_PEM TOKEN_URL CLIENT_ID CLIENT_SECRET

The client's own client-credentials support is used: it asks TOKEN_URL and sends the token as a bearer. REQUESTS_CA_BUNDLE has to
name ROOT_PEM, since the client asks for tokens in a way of its own. Prints one line an operation; exits 1 at the first that fails.
"""

import importlib
import ssl
import sys

import httpx
from command_v11_client.client import Client

URL, ROOT_PEM, TOKEN_URL, CLIENT_ID, CLIENT_SECRET = sys.argv[1:6]

client = Client(
    f"{URL}/KeyfactorAPI",
    verify_ssl=ssl.create_default_context(cafile=ROOT_PEM),
    timeout=httpx.Timeout(60.0),
    raise_on_unexpected_status=True,
    idp_args={"tokenURL": TOKEN_URL, "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET},
)

for operation in ["status.get_status_endpoints", "agent.get_agents", "certificate.get_certificates", "security_roles.get_security_roles"]:
    module = importlib.import_module(f"command_v11_client.api.{operation}")
    answer = module.sync_detailed(client=client)
    if answer.status_code != 200:
        raise SystemExit(f"{operation}: {answer.status_code}: {answer.content!r}")
    print(f"ok {operation}", flush=True)
    if "Bearer " not in client.get_httpx_client().headers["Authorization"]:
        raise SystemExit("the client did not send a token")
print("all with tokens")
