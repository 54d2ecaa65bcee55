"""The inbox: one conversation per person who wrote, answered from the number that they wrote to."""
