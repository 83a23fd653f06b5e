{
  description = "A fleet for the lab: NixOS-like systems from /bin/sh and Python, without inputs";
  outputs = { self }: import ./fleet.nix { inherit self; };
}
