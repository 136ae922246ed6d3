# pip install "pyjwt[crypto]"
import os

import jwt

ISSUER = os.environ["ORGATE_URL"]  # https://login.example.com
AUDIENCE = os.environ["ORGATE_AUDIENCE"]  # your app's name in orgate.yaml, or one tenant host

# The keys are fetched once, cached, and fetched again when a new one appears.
keys = jwt.PyJWKClient(os.environ.get("ORGATE_JWKS", ISSUER) + "/.well-known/orgate/jwks.json")


def identity(headers):
    token = headers["X-Orgate-Jwt-Assertion"]
    key = keys.get_signing_key_from_jwt(token).key
    claims = jwt.decode(token, key, algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE,
                        options={"require": ["exp", "iat", "iss", "aud", "sub", "org_id"]})
    return {"user": claims["sub"], "organization": claims["org_id"], "role": claims.get("role")}
