"""Inngest as its users write it: functions by hand, no portable program."""
