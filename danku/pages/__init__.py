"""Leaderboard pages: static HTML that needs no server, and a small server for a workspace."""
