"""Estimators for tables with numbers, categories, dates and missing values."""
