"""Write to one person or many, and see beforehand how it will arrive."""
