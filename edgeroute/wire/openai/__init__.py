"""The OpenAI protocol: JSON bodies to requests, chunks and errors to JSON.

Owns the field names and their ranges. Unknown top-level fields are dropped and told; fields that
change the answer and are not built are refused, since dropping them would answer another question;
an unknown key inside the `edgeroute` object is an error.
"""

from edgeroute.wire.openai.answers import ChatWriter, Gathered
from edgeroute.wire.openai.chat import ChatCall, decode_chat
from edgeroute.wire.openai.replies import encode_error, encode_json, encode_models, sse

__all__ = [
    "ChatCall",
    "ChatWriter",
    "Gathered",
    "decode_chat",
    "encode_error",
    "encode_json",
    "encode_models",
    "sse",
]
