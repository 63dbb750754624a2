"""A planned migration and a live database become the next step of the one on the other, done, recorded, or refused."""
