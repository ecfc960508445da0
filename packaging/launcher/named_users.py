"""Names the user of an access token in a response header, because nginx can read the user from a header only.

nginx asks whoami with this header in its request. Both the URL and the body of the response are public API (Client-Server
API, /account/whoami), so this module depends on nothing inside Synapse.
"""
import base64
import json

from twisted.web import server

# In a request any value; in a response the user as Synapse's own tokens name it: `syt_USER_…` (handlers/auth.py,
# generate_access_token). A user therefore has the same name with an older token.
HEADER = b"X-Synapse-Workers-User"
# The longest response in bytes that is read: a user ID and a device ID. A client may send the header with any request,
# such as a /sync whose response would take long to parse.
LONGEST = 8 << 10


def take_over():
    """Replaces the method that Twisted calls when it has received a request."""
    process = server.Request.process

    def named(request):
        if request.requestHeaders.hasHeader(HEADER):
            add_to_response(request)
        process(request)

    server.Request.process = named


def add_to_response(request):
    """Sets the header when the first part of the body is written, with which Twisted sends the headers."""
    write = request.write

    def first(data):
        del request.write
        user = user_in(data)
        if user:
            request.setHeader(HEADER, user)
        write(data)

    request.write = first


def user_in(body):
    """The localpart of the user ID in a response of whoami, in Base64 without padding; None for another response."""
    if len(body) > LONGEST:
        return None
    try:
        localpart = json.loads(body)["user_id"].partition(":")[0][1:].encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return base64.b64encode(localpart).rstrip(b"=")
