"""The counter: the HTTP flavours; parse, call a room, render the answer."""
