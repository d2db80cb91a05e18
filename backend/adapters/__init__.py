"""Doors out, one package a technology; they implement the ports of the rooms."""
