"""The border at which people become pseudonyms."""
