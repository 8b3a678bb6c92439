"""The commands of `kubernaut`, one module a group; nothing here is imported before its command is used."""
