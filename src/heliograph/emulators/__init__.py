"""The carriers' side of the wire: separate programs that no other room imports."""
