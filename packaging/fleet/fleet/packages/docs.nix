# docs/ as a site. nix build .#docs; then open result/index.html
{ pkgs }:
pkgs.runCommand "docs" { nativeBuildInputs = [ pkgs.mdbook ]; } ''
  cp --recursive --no-preserve=mode ${../docs} src
  printf '[book]\ntitle = "The fleet"\n' >book.toml
  mdbook build --dest-dir "$out"
''
