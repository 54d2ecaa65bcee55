"""The tests, in the order of the rooms that they are about; kit/ holds what they share."""
