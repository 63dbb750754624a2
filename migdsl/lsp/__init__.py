"""Texts of `.mig` files and places in them become what an editor shows; only `server` knows the protocol."""
