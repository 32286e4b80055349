"""How nodes talk: named actions, typed messages, frames over mutual TLS, connection pools."""
