"""Facts, reports and contacts in, changed dossiers out, each batch in one transaction; nothing is published here."""
