# What packaging/vendorhash.sh needs to know of package.nix, without nixpkgs: the files of its src, and its vendorHash.
let
  inherit (builtins) attrNames baseNameOf concatMap filter match readDir stringLength substring;

  # Files are listed by path; nixpkgs' filesets have more to them.
  fileset = {
    toSource = { root, fileset }: map (path: substring (stringLength (toString root) + 1) (-1) (toString path)) fileset;
    unions = concatMap (files: if builtins.isList files then files else [ files ]);
    fileFilter = keep: directory:
      let entries = readDir directory; in
      concatMap
        (name:
          let path = directory + "/${name}"; in
          if entries.${name} == "directory" then fileset.fileFilter keep path
          else filter (path: keep (file (baseNameOf path))) [ path ])
        (attrNames entries);
  };
  file = name: { inherit name; hasExt = extension: match ".*[.]${extension}" name != null; };

  package = import ./package.nix {
    lib = {
      inherit fileset;
      optionalString = condition: text: if condition then text else "";
      hasSuffix = suffix: text: match ".*${suffix}" text != null;
      licenses.mit = null;
      platforms.linux = null;
    };
    stdenv = { hostPlatform = { }; buildPlatform.canExecute = _: true; };
    installShellFiles = null;
    testers = { testVersion = test: test; runNixOSTest = test: test; };
    buildGoModule = of: let package = of { finalPackage = package; }; in package;
  };
in
{
  inherit (package) vendorHash passthru;
  files = builtins.concatStringsSep "\n" package.src;
}
