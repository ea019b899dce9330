"""The workbench: runs dbt on a copy of the warehouse, to show what an edited model changes.

`copies` takes the copy, `project` runs dbt in this process, `run` passes a command on to it, `compare` says
what differs from the publication, `contracts` and `describe` help with a model's YAML, and `impact` compares
the SQL of two versions in git. Nothing here writes a working file or the publication.
"""
