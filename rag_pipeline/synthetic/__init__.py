"""Generators that learn from stored records and write records that are tagged as synthetic."""
