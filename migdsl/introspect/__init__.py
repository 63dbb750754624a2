"""A live PostgreSQL becomes frozen values, and those become declarations in the language, or what differs from a file's."""
