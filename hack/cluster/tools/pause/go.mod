module distillery/tools/pause

go 1.26.0
