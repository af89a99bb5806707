"""The package's steps, one a module with its `STEP`; see `batching.step`."""
