"""Blobs named by their IPFS CIDs: the port and the store in a folder."""
