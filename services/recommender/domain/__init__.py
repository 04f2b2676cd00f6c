"""Pure rules and in-memory state: items, their properties, histories, active generations, erased users."""
