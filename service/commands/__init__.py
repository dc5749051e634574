"""The commands of `penumbra`, by topic. What is slow to import, the command imports that needs it."""
