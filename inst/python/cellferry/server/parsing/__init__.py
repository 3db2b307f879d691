"""Large bodies are parsed in another process, where they keep nobody waiting."""
