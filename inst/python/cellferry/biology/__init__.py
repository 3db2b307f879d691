"""What is known of genes and cell types, whatever is studied."""
