# Completes words after `experimentstash`: eval "$(experimentstash -sc install=bash)"
_experimentstash()
{
    local line=${COMP_LINE:0:COMP_POINT} program=${COMP_WORDS[0]} found word about number widest=0
    local -a words=() abouts=()
    program=${program/#\~/$HOME}
    COMPREPLY=()
    while IFS=$'\t' read -r word about; do
        [[ $word == *[!A-Za-z0-9_./+=,:@%~-]* ]] && printf -v word %q "$word"
        words+=("$word") abouts+=("$about")
        (( ${#word} > widest )) && widest=${#word}
    done < <(COMP_LINE=$line "$program" -sc query=bash 2> /dev/null)
    (( ${#words[@]} )) || return 0
    compopt +o default 2> /dev/null
    # What is before a mark at which readline breaks words stands there already.
    local current=${line##* } head=
    [[ $current == *[=:]* && $COMP_WORDBREAKS == *[=:]* ]] && head=${current%"${current##*[=:]}"}
    if (( ${#words[@]} == 1 )); then
        [[ ${words[0]} == *[=./] ]] && compopt -o nospace 2> /dev/null
        COMPREPLY=("${words[0]#"$head"}")
        return 0
    fi
    compopt -o nosort 2> /dev/null
    # A list is for reading; what is inserted is only what all words have in common.
    for number in "${!words[@]}"; do
        word=${words[number]#"$head"}
        if [[ $COMP_TYPE == 63 && -n ${abouts[number]} ]]; then
            printf -v found '%-*s  (%s)' "$(( widest - ${#head} ))" "$word" "${abouts[number]}"
            word=${found:0:$(( ${COLUMNS:-80} - 1 ))}
        fi
        COMPREPLY+=("$word")
    done
}
complete -o default -F _experimentstash experimentstash
