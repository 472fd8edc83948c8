# Tab completion of inv for bash: eval "$(./inv --print-completion-script bash)"

_inv() {
  local line=${COMP_LINE:0:COMP_POINT} typed=$2 program found each before
  program=${1/#\~\//$HOME/}
  program=$(type -P -- "${program//[\\\"\']/}") || program=@INV@
  COMPREPLY=()
  # if it fails, nothing fits there, and files do not either
  found=$("$program" --complete -- "$line" 2>/dev/null </dev/null) || { compopt +o default 2>/dev/null; return; }

  # bash has split the word at the characters of COMP_WORDBREAKS, such as : and =, and at an open quote; what is before
  # them stays
  before=${line%"$typed"} before=${before##*[[:space:]]}
  before=${before//[\\\"\']/}${typed//[\\\"\']/}
  while IFS= read -r each; do
    [[ -n $each && $each == "$before"* ]] || continue
    [[ $each != */ ]] || compopt -o nospace 2>/dev/null
    each=${each#"$before"}
    [[ -z $each || ${COMP_WORDS[COMP_CWORD]} == [\'\"]* ]] || printf -v each %q "$each"
    COMPREPLY+=("$typed$each")
  done <<<"$found"
}

# files, if inv has nothing to say
complete -o default -F _inv inv invoke
