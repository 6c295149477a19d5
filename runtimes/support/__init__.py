"""What servers need around them: databases, an account without rights, a network of their own."""
